"""The one error of this package: what is wrong with a checkpoint or an input, in one line."""


class ModelFault(Exception):
    """A checkpoint or input that an architecture cannot serve, said in one line."""
