"""One thread for torch: the tests share two cores with others."""

import torch

torch.set_num_threads(1)
