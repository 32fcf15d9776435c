"""What is asked: clips, questions and the rules by which an answer counts. One file a dataset."""
