"""Which of the six generator losses earn their place?

    python sweeps/loss_ablation.py                     # laptop: 12 variants x 10 classes x 2 seeds
    python sweeps/loss_ablation.py --scale smoke       # the same steps on scikit-learn's digits

Each loss in turn is left out of the default weights, and each is added alone to reconstruction and ABC. All variants
are trained with the same fresh seeds, their models score the test part once, and each is compared with all six losses
on the same images.
"""

from adcore.config import TrainConfig
from sweeps.engine.main import main
from sweeps.engine.planning.space import Space

CORE = ("reconstruction", "abc")
ALL = "all six losses"
SIX = [name for name, weight in TrainConfig().weights.items() if weight]


def variant(*names: str) -> dict[str, float]:
    """The default weights of these losses, 0 for the others."""
    return {f"weight_{name}": weight if name in names else 0.0 for name, weight in TrainConfig().weights.items()}


def without(left_out: str) -> dict[str, float]:
    """The default weights, with one set to 0."""
    return variant(*(name for name in SIX if name != left_out))


OTHERS = [name for name in SIX if name not in CORE]
SPACE = Space(
    ranges={},
    points={
        ALL: variant(*SIX),
        **{f"without {name}": without(name) for name in SIX},
        "reconstruction + ABC alone": variant(*CORE),
        **{f"reconstruction + ABC + {name}": variant(*CORE, name) for name in OTHERS},
    },
    default=ALL,
)

if __name__ == "__main__":
    main("loss_ablation", __doc__ or "", SPACE)
