# %% [markdown]
# # wsproc in a notebook
#
# `wsproc serve` in a terminal, then run the cells: open this file in VS Code or PyCharm as it is,
# or make a notebook of it by `jupytext --to ipynb notebook.py`. The blocking client needs no
# `await`, and works though the notebook has an event loop of its own.

# %%
import os

import wsproc

client = wsproc.connect_sync(os.environ.get("WSPROC_URL", "ws://127.0.0.1:8765"))
client

# %% [markdown]
# A result at the end of a cell is shown: sentiment as a strip and over the text, names underlined,
# the summary below.

# %%
text = (
    "Ada Lovelace had a wonderful day in London. The museum was lovely and the food was great. "
    "The train home was slow and awful, and it rained on Charles Babbage the whole way to Dorset."
)
result = client.process(text, include_entities=True, split="sentence", chunk_size=90).result()
result

# %% [markdown]
# Tables, where pandas is installed.

# %%
try:
    print(result.to_pandas()[["sentiment", "confidence", "text"]])
except ImportError as missing:
    print(missing)

# %% [markdown]
# Many texts at once, in their order; a stop of the cell cancels what is left.

# %%
reviews = ["The soup was great, I love it.", "I hate how slow this was.", "It opens at nine."]
for found in client.map(reviews, include_summary=False):
    print(f"{found.sentiment:<8} {found.text}")

# %%
for token in client.generate("Once upon a time", max_tokens=15, seed=3).tokens():
    print(token, end="")

# %%
client.close()
