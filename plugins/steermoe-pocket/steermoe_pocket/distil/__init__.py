"""`python -m steermoe_pocket.distil`: how `pocket/conformer-tiny` was made, and can be made again.

A small FireRedASR conformer learns to give what a frozen Whisper gives for the same speech, at half its frame
rate, and beside it to spell the transcripts. Both heads are thrown away; the encoder is kept.
"""
