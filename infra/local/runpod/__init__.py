"""A loopback Runpod: the job API that callers use and the channel that the worker SDK polls.

State is in memory and gone with the process. What the service documents is followed; where it
documents nothing, the choice is named beside the code.
"""
