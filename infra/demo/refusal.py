"""What a person asked for and cannot have."""


class Refused(Exception):
    """One line that says what does not fit, told before anything is started."""
