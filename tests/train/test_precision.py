import pytest
import torch
import torch.nn.functional as F

from captain_cinema.train.precision import fast_bfloat16, mixed_precision


def test_products_are_bfloat16_and_attention_and_norms_are_not() -> None:
    x = torch.randn(2, 4, 8, 8)
    with mixed_precision("cpu", enabled=True):
        product = x @ x
        assert product.dtype == torch.bfloat16
        assert F.scaled_dot_product_attention(product, product, product).dtype == torch.float32
        assert F.rms_norm(product, (8,), torch.ones(8)).dtype == torch.float32
        mask = torch.ones(8, 8, dtype=torch.bool)
        masked = F.scaled_dot_product_attention(product, product, product, attn_mask=mask)
    wide = product.float()
    assert torch.equal(masked, F.scaled_dot_product_attention(wide, wide, wide))


def test_off_changes_nothing() -> None:
    x = torch.randn(4, 4)
    with mixed_precision("cpu", enabled=False):
        assert (x @ x).dtype == torch.float32


@pytest.mark.parametrize("unit", ["amx_bf16", "avx512_bf16"])
def test_a_cpu_without_bfloat16_units_trains_in_float(monkeypatch: pytest.MonkeyPatch, unit: str) -> None:
    for capable in (True, False):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda capable=capable: {unit: capable})
        assert fast_bfloat16("cpu") is capable
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    assert not fast_bfloat16("cpu")
    assert fast_bfloat16("cuda:0")
    assert not fast_bfloat16("mps")
