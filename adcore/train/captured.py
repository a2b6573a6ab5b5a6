"""A pack's step as one CUDA graph, launched as a whole: it does not wait for the host between kernels.

At a GAN's sizes the host is the bottleneck: a step of one member is about a thousand launches, whatever its size.
"""

from __future__ import annotations

import contextlib
import gc
import logging
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from adcore.train.datamodule import EpochBatches
from adcore.train.pack import Pack

__all__ = ["Captured", "capture"]

#: Steps before a capture, in which libraries choose their algorithms and Adam creates its state.
WARM_UP = 3

logger = logging.getLogger(__name__)


class Captured:
    """The step of all members, captured once and replayed: plain networks, one stream each.

    Everything that changes between steps is on the device at fixed addresses: the epoch's tables of images and
    learning rates, and the step number, which the graph itself increments. If capture fails, a warning says why and the
    step is run without it.
    """

    def __init__(self, pack: Pack) -> None:
        self.pack = pack
        is_cuda = pack.device.type == "cuda"
        self.streams = [torch.cuda.Stream() if is_cuda else None for _ in pack.groups]
        self.counter = torch.zeros(1, dtype=torch.int64, device=pack.device)
        self.batches: EpochBatches | None = None
        self.rates = torch.empty(0)
        self.replay: Callable[[], None] | None = None

    def begin_epoch(self, batches: EpochBatches) -> None:
        rates = self.pack.rates(batches.epoch, len(batches)).to(self.pack.device, torch.float32)
        if self.batches is None:
            self.batches, self.rates = batches, rates
        else:
            self.batches.copy_(batches)
            self.rates.copy_(rates)
        self.counter.zero_()

    def step(self, number: int) -> None:
        if self.replay is None:
            self.replay = self._captured()
        self.replay()

    def _captured(self) -> Callable[[], None]:
        """The captured step, or the plain step if capture fails; all state is left as it was."""
        # detached: a graph kept alive would tie the parameters' gradients to the stream of this moment
        before = [(tensor, tensor.detach().clone()) for tensor in self._changing()]
        try:
            replay = capture(self._step)
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[0]
            logger.warning("the training step cannot be captured as a CUDA graph (%s): training is slower", reason)
            replay = self._step
        finally:
            if self.pack.device.type == "cuda":
                torch.cuda.synchronize()  # else a failed step's pending work would change restored values
        addresses = {tensor.data_ptr() for tensor, _ in before}
        with torch.no_grad():
            for tensor in self._changing():
                if tensor.data_ptr() not in addresses:  # created by the first steps: Adam's moments, sums of losses
                    tensor.zero_()
            for tensor, value in before:
                tensor.copy_(value)
        return replay

    def _changing(self) -> Iterator[Tensor]:
        """Everything that a step changes in place."""
        yield self.counter
        yield from self.pack.parameters()
        yield from self.pack.buffers()
        for sums in self.pack.loss_sums:
            yield from sums.values()
        for adams in self.pack.optimizers_of:
            for adam in adams:
                for state in adam.optimizer.state.values():
                    yield from state.values()

    def _step(self) -> None:
        assert self.batches is not None
        rates = self.rates.index_select(0, self.counter)[0]
        images = [part.contiguous() for part in self.batches.at(self.counter)]
        self._fork()
        for place, (stream, group) in enumerate(zip(self.streams, self.pack.groups, strict=True)):
            with torch.cuda.stream(stream):  # type: ignore[arg-type] (None leaves the stream as it is)
                for adam in self.pack.optimizers_of[place]:
                    adam.set_rates(rates[group.start : group.stop])
                normal, anomalous = (self.batches.select(part, group) for part in images)
                self.pack.step_of(place, *(part.to(memory_format=torch.channels_last) for part in (normal, anomalous)))
        self._join()
        self.counter.add_(1).remainder_(len(self.batches))  # wrap around: a warm-up may run past the tables' end

    def _fork(self) -> None:
        for stream in filter(None, self.streams):
            stream.wait_stream(torch.cuda.current_stream())

    def _join(self) -> None:
        for stream in filter(None, self.streams):
            torch.cuda.current_stream().wait_stream(stream)


def capture(step: Callable[[], None]) -> Callable[[], None]:
    """Run `step` WARM_UP times, then return a replay of it as a CUDA graph. Raises RuntimeError if that fails."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            step()
    torch.cuda.synchronize()
    gc.collect()
    torch.cuda.empty_cache()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.stream(side):
        graph.capture_begin()
        try:
            step()
        except BaseException:
            with contextlib.suppress(RuntimeError):  # its error would hide the cause
                graph.capture_end()
            raise
        graph.capture_end()
    torch.cuda.current_stream().wait_stream(side)
    return graph.replay
