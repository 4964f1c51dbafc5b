import torch

from captain_cinema.keyframes.hybrid_attention import global_mask, local_mask


def test_local_blocks_see_their_own_pair():
    wanted = torch.block_diag(torch.ones(2, 2), torch.ones(3, 3), torch.ones(1, 1)).bool()
    assert torch.equal(local_mask([2, 3, 1]), wanted)


def test_global_blocks_see_everything():
    assert global_mask([2, 3, 1]).all()


def test_causal_blocks_see_earlier_pairs_whole():
    mask = global_mask([2, 3, 1], causal=True)
    assert mask.sum(1).tolist() == [2, 2, 5, 5, 5, 6]
    assert torch.equal(mask & mask.T, local_mask([2, 3, 1]))
