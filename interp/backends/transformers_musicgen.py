"""MusicGen as transformers has it, laid out as audiocraft's: the same sites, shapes and rows.

One thing differs, and is left as transformers does it.  Cross-attention has a mask here, so padded text
positions are not attended to, while audiocraft attends to them (they are zeros).  Texts of equal length in
one batch give the same numbers in both; of unequal length, those that are padded differ, and here a clip does
not depend on the texts that it shares a batch with.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import nn

from ..errors import InterpError

PLACES = {
    "attn": "self_attn.out_proj",
    "cross": "encoder_attn.out_proj",
    "mlp": "fc2",
    "head": "self_attn.out_proj",
    "cross_head": "encoder_attn.out_proj",
}


class TextEncoder(nn.Module):
    """The T5 and its projection, as audiocraft's ``T5Conditioner``."""

    def __init__(self, t5: nn.Module, tokenizer, projection: nn.Module) -> None:
        super().__init__()
        self.output_proj = projection
        self.__dict__["t5"] = t5  # frozen and shared: not part of the language model's weights
        self.tokenizer, self.dim = tokenizer, t5.config.d_model

    def tokenize(self, texts: list[str | None]) -> dict[str, torch.Tensor]:
        """Token ids and mask, [text, text token]; the mask of an empty text is all 0."""
        texts = [text or "" for text in texts]
        inputs = self.tokenizer(texts, return_tensors="pt", padding=True).to(self.t5.device)
        inputs["attention_mask"][[i for i, text in enumerate(texts) if not text]] = 0
        return inputs

    def forward(self, inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Values [text, text token, d_model] and mask."""
        mask = inputs["attention_mask"]
        with torch.no_grad(), torch.autocast(self.t5.device.type, enabled=False):
            values = self.t5(input_ids=inputs["input_ids"], attention_mask=mask).last_hidden_state
        return self.output_proj(values.to(self.output_proj.weight)) * mask.unsqueeze(-1), mask


class LanguageModel(nn.Module):
    """``MusicgenForCausalLM`` with the names of audiocraft's ``LMModel``."""

    places = PLACES

    def __init__(self, decoder: nn.Module, text: TextEncoder) -> None:
        super().__init__()
        self.decoder, self.text = decoder, text
        config, self.cfg, self.cfg_coef = decoder.config, None, 3.0
        blocks = decoder.model.decoder.layers
        self.transformer = SimpleNamespace(layers=blocks, positional_embedding="sin", norm_first=True)
        self.condition_provider = SimpleNamespace(conditioners={"description": text})
        self.fuser = SimpleNamespace(fuse2cond={"cross": ["description"]})
        self.dim, self.num_codebooks = config.hidden_size, config.num_codebooks
        self.card = self.special_token_id = config.vocab_size
        delays = [codebook // config.audio_channels for codebook in range(config.num_codebooks)]
        self.pattern_provider = SimpleNamespace(delays=delays, flatten_first=0, empty_initial=0)
        self._cache, self._streaming, self._steps = None, False, None

    def forward(self, sequence: torch.Tensor, conditions: list, condition_tensors: dict) -> torch.Tensor:
        """Logits [row, codebook, step, entry] of what follows ``sequence`` [row, codebook, step]."""
        text, mask = condition_tensors["description"]
        # An empty text is zeros at every position, so attention to it gives zeros whatever its mask says; but
        # a mask that leaves nothing to attend to would give 0 / 0.
        mask = mask.masked_fill(mask.sum(-1, keepdim=True) == 0, 1)
        if self._streaming and self._cache is None and self._steps is not None:
            self._cache = _caches(len(self.transformer.layers), self._steps)
        found = self.decoder.model.decoder(
            input_ids=sequence.flatten(0, 1),
            encoder_hidden_states=text,
            encoder_attention_mask=mask,
            past_key_values=self._cache,
            use_cache=self._streaming,
        )
        self._cache = found.past_key_values if self._streaming else None
        return torch.stack([head(found.last_hidden_state) for head in self.decoder.lm_heads], dim=1)

    @contextmanager
    def streaming(self, steps: int | None = None) -> Iterator[None]:
        """Calls inside go on from the one before, for at most ``steps`` if that is given."""
        self._streaming, self._cache, self._steps = True, None, steps
        try:
            yield
        finally:
            self._streaming, self._cache, self._steps = False, None, None

    def get_streaming_state(self) -> dict:
        """Keys and values of what was put in so far."""
        return {} if self._cache is None else {"cache": self._cache}

    def set_streaming_state(self, state: dict) -> None:
        """Go on from ``state``; from nothing if it is empty."""
        self._cache = state.get("cache")

    @torch.no_grad()
    def redraw(self, seed: int) -> None:
        """Draw all weights from ``seed`` with the spread of audiocraft's initialisation.

        The draws are others than audiocraft's: a seed means the same weights within one backend.
        """
        random = torch.Generator().manual_seed(seed)

        def draw(weight: torch.Tensor, fan_in: int, depth: int = 0) -> None:
            std = (fan_in * 2 * depth if depth else fan_in) ** -0.5
            drawn = torch.empty(weight.shape)
            nn.init.trunc_normal_(drawn, 0.0, std, -3 * std, 3 * std, generator=random)
            weight.copy_(drawn)

        inner = self.decoder.model.decoder
        for embedding in inner.embed_tokens:
            draw(embedding.weight, embedding.embedding_dim)
        for depth, block in enumerate(inner.layers, start=1):
            for module in block.modules():
                if isinstance(module, nn.Linear):
                    draw(module.weight, module.in_features, depth)
        for head in self.decoder.lm_heads:
            draw(head.weight, head.in_features)
        for module in inner.modules():
            if isinstance(module, nn.LayerNorm):
                module.reset_parameters()
        bound = self.text.output_proj.in_features**-0.5  # torch's own initialisation of a linear layer
        for weight in self.text.output_proj.parameters():
            weight.copy_(torch.empty(weight.shape).uniform_(-bound, bound, generator=random))


def _caches(layers: int, steps: int):
    """Keys and values of a run: of its steps in tensors of full length, of the text as transformers does."""
    from transformers.cache_utils import Cache, DynamicLayer, EncoderDecoderCache

    class Room(DynamicLayer):
        """What transformers makes anew at every step, one step longer, is written into one tensor."""

        def update(
            self, keys: torch.Tensor, values: torch.Tensor, *_, **__
        ) -> tuple[torch.Tensor, torch.Tensor]:
            begin = self.get_seq_length()
            if not self.is_initialized:
                self.lazy_initialization(keys, values)
                rows, heads, _, width = keys.shape
                self.room = keys.new_empty(2, rows, heads, steps, width)
            stop = begin + keys.shape[2]
            self.room[0, :, :, begin:stop], self.room[1, :, :, begin:stop] = keys, values
            self.keys, self.values = self.room[:, :, :, :stop]
            return self.keys, self.values

    return EncoderDecoderCache(
        Cache(layers=[Room() for _ in range(layers)]), Cache(layers=[DynamicLayer() for _ in range(layers)])
    )


class Codec(nn.Module):
    """transformers' EnCodec as a ``CompressionModel``; two channels are encoded apart and interleaved."""

    def __init__(self, encodec: nn.Module, channels: int, codebooks: int) -> None:
        super().__init__()
        self.model, self.channels = encodec, channels
        config = encodec.config
        self.sample_rate, self.num_codebooks = config.sampling_rate, codebooks
        self.frame_rate = config.sampling_rate / config.hop_length
        each = codebooks // channels
        self.bandwidth = min(
            config.target_bandwidths,
            key=lambda kbps: abs(encodec.quantizer.get_num_quantizers_for_bandwidth(kbps) - each),
        )

    def encode(self, waveform: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Tokens [clip, codebook, frame] of [clip, channel, sample], and the codec's scale."""
        sides = [self.model.encode(side, None, self.bandwidth) for side in waveform.split(1, dim=1)]
        codes = torch.stack([side.audio_codes[0] for side in sides], dim=2)  # [clip, book, channel, frame]
        return codes.flatten(1, 2), sides[0].audio_scales[0]

    def decode(self, tokens: torch.Tensor, scale: torch.Tensor | None = None) -> torch.Tensor:
        """[clip, channel, sample]."""
        sides = [tokens[:, side :: self.channels] for side in range(self.channels)]
        return torch.cat([self.model.decode(side[None], [scale])[0] for side in sides], dim=1)


class TransformersMusicGen:
    """What :class:`interp.Model` wants of a ``MusicGen``."""

    def __init__(self, model: nn.Module, tokenizer, device: str, name: str) -> None:
        if not hasattr(model, "enc_to_dec_proj"):
            raise InterpError(
                f"{name} has no projection of its text; its text encoder is as wide as the model."
            )
        self.name, self.device = name, torch.device(device)
        half = self.device.type != "cpu"  # as audiocraft does: text encoder and codec stay in float32
        text = TextEncoder(model.text_encoder.to(device), tokenizer, model.enc_to_dec_proj)
        self.lm = (
            LanguageModel(model.decoder, text).to(device, torch.float16 if half else torch.float32).eval()
        )
        config = model.config.decoder
        self.compression_model = Codec(
            model.audio_encoder.to(device), config.audio_channels, config.num_codebooks
        ).eval()
        self.autocast = torch.autocast(self.device.type, torch.float16, enabled=half)
        self.frame_rate, self.sample_rate = (
            self.compression_model.frame_rate,
            self.compression_model.sample_rate,
        )
        self.audio_channels = config.audio_channels
        steps = model.generation_config.max_length if model.generation_config.max_length != 20 else None
        self.max_duration = float(steps // self.frame_rate if steps else 30)

    @classmethod
    def load(cls, name: str, device: str) -> TransformersMusicGen:
        """Load a folder or an id, as ``MusicgenForConditionalGeneration.save_pretrained`` lays it out."""
        from transformers import AutoConfig, AutoTokenizer, MusicgenForConditionalGeneration

        kind = AutoConfig.from_pretrained(name).model_type
        if kind != "musicgen":
            raise InterpError(
                f"{name} is of the kind {kind}, not musicgen: its prefix would shift every step; use one "
                "that takes a text alone, such as facebook/musicgen-small."
            )
        model = MusicgenForConditionalGeneration.from_pretrained(name, dtype=torch.float32)
        return cls(model, AutoTokenizer.from_pretrained(name), device, name)


def is_checkpoint(folder: Path) -> bool:
    """Whether a folder holds a model as transformers saves it."""
    return (folder / "config.json").is_file() and not (folder / "state_dict.bin").is_file()
