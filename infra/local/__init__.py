"""The stack on one machine: object store, Runpod emulator, and who starts and stops it all."""
