"""One thread for tiny tensors: two test processes with two threads each mostly wait for turns."""

import torch

torch.set_num_threads(1)
