"""Backends: what runs a model, behind one interface.

:class:`interp.Model` is a view on what a backend provides, and hooks, capture, steering and all that is built
on them work on any of them.  A backend gives an object that is laid out as audiocraft's ``MusicGen``, whose
names this library took over:

====================================  ======================================================================
``lm``                                the language model, a ``torch.nn.Module`` in evaluation mode
``lm.transformer.layers``             its blocks, in order; each gives the residual stream [row, step, width]
``lm.places``                         where in a block the sites are, see :data:`interp.sites.PLACES`
``lm(sequence, conditions,            logits [row, codebook, step, entry] of what follows each step of
condition_tensors)``                  [row, codebook, step]; the text is ``condition_tensors["description"]``
``lm.streaming(steps=None)``          a context in which calls go on from each other, for at most ``steps`` if
                                      that is given (audiocraft's takes none); the state is got and put by
                                      ``get_streaming_state`` and ``set_streaming_state``
``lm.dim``, ``num_codebooks``,        width, codebooks, entries in each, and the token where there is no code
``card``, ``special_token_id``
``lm.pattern_provider.delays``        delay of every codebook in steps
``lm.condition_provider``             ``.conditioners["description"]``: the text encoder: ``dim``, ``t5``,
                                      ``tokenize(texts)`` and, called with that, (values, mask)
``compression_model``                 the codec: ``encode`` ([clip, channel, sample] to tokens), ``decode``
``device``, ``autocast``,             as their names say; ``autocast`` is a context around every run
``frame_rate``, ``sample_rate``,
``audio_channels``, ``max_duration``
====================================  ======================================================================

:mod:`interp.backends.transformers_musicgen` is one that does not need audiocraft.
"""

NAMES = ("audiocraft", "transformers")
