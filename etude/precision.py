"""The precision of training: half where a processor has it."""

from __future__ import annotations

import torch


def half(device: str | torch.device) -> torch.autocast:
    """Products in bfloat16, where the device computes in it; a CPU that only imitates it keeps to float32,

    which is many times faster there.
    """
    kind = torch.device(device).type
    fast = kind != "cpu" or bool(torch.cpu.get_capabilities().get("avx512_bf16"))
    return torch.autocast(kind, torch.bfloat16, enabled=fast)
