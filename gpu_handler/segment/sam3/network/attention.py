"""Attention of the stock modules' weights, without what their calls do around it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.models.sam3.modeling_sam3 import Sam3Attention


def attend(
    weights: Sam3Attention, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None
) -> Tensor:
    """What `weights(query, key, value, mask)` answers: (B, Tq, C) from (B, Tk, C) keys.

    `mask` broadcasts to (B, heads, Tq, Tk): bool, True where it may look, or an additive bias.
    The stock call chooses a kernel in Python for every layer, and builds and inspects masks, which
    makes the host wait for the device.
    """
    q = split_heads(weights.q_proj(query), weights.num_attention_heads)
    k = split_heads(weights.k_proj(key), weights.num_attention_heads)
    v = split_heads(weights.v_proj(value), weights.num_attention_heads)
    seen = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=weights.scaling)
    out: Tensor = weights.o_proj(join_heads(seen))
    return out


def split_heads(x: Tensor, heads: int) -> Tensor:
    """(B, T, C) to (B, heads, T, C / heads)."""
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


def join_heads(x: Tensor) -> Tensor:
    """(B, heads, T, D) to (B, T, heads * D)."""
    return x.transpose(1, 2).flatten(2)


def fused(*layers: nn.Linear) -> nn.Linear:
    """One Linear that answers what `layers` answer to the same input, one after the other.

    The input is read once instead of once per layer.
    """
    first = layers[0]
    with torch.device("meta"):
        one = nn.Linear(first.in_features, sum(layer.out_features for layer in layers))
    one.weight = _frozen(torch.cat([layer.weight for layer in layers]))
    one.bias = _frozen(torch.cat([layer.bias for layer in layers]))
    return one


def _frozen(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values.detach(), requires_grad=False)
