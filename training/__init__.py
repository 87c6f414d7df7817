"""How the embedded models were made: one command a model, and the evaluation of what ships."""
