"""What decoders share: slots of cached keys and values, choice of tokens, beams, text."""
