"""The entity pipeline: corpora under one label scheme, silver text, training, rules, evaluation."""
