"""How models are made: fine-tuning on gold, the teacher's targets, distillation across processors."""
