"""The dataset: films in bounded shards, an index, and one record that makes each film part of it.

`writer` puts films in, at once or not at all; `reader` gives any keyframe of any film; `loaders` hands it
to PyTorch and to Hugging Face `datasets`; `export` writes a WebDataset; `verify`, `stats` and `page` tell
what is there.
"""
