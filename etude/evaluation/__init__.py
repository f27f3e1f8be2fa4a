"""What `python -m etude evaluate` measures, and how.

====================  =================================================================================
`transcription`       how well the notes that are heard in two waveforms agree
`features`            what is measured of one clip: cues, tones by pitch class, timbre
`judges`              classifiers of mode, cadence, instrument and quadrant, trained on the composer's music
`corpora`             held-out and judges' corpora, through the codec, measured once
`codec`               the codec's tables
`language`            the language models' cross-entropy, and the clips that they generate
`words`               what cue words and emotion words do to generated music
`facts`               the parts of the card that are read off the code
`tables`              figures with n and interval, goals, and the card's generated part
====================  =================================================================================
"""
