"""Rebuilds recorded runs: from a manifest to its derivation, with inputs found by digest.

`verify --rebuild` does it for the kinds that need neither training nor a model, `reproduce` for the
others. Both are a loop over `Remaker.verdict`.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from tunixrt.derive import QUIET, Again, Derivation, NotReproducibleError, again, not_made
from tunixrt.errors import BadInputError, StoreLockedError, TunixrtError
from tunixrt.eval.evalsets import load_evalset
from tunixrt.eval.judge.math_verify import UndecidedError
from tunixrt.eval.sample_judges import JudgeFailedError, sample_judge
from tunixrt.extras import MissingExtraError
from tunixrt.functions import FunctionError
from tunixrt.jobs.contamination import TrainingCheck, by_text
from tunixrt.jobs.evaluation.judgement import Judgement
from tunixrt.jobs.evaluation.responses import Responses
from tunixrt.jobs.evaluation.target import untrained_model
from tunixrt.jobs.machine import prepare_machine
from tunixrt.jobs.models import find_model
from tunixrt.jobs.training import plan_training_again
from tunixrt.log.files import WriteError
from tunixrt.runs.config import RunConfig
from tunixrt.runs.identity import current_code
from tunixrt.runs.manifests import (
    ContaminationManifest,
    EvaluationManifest,
    ResponsesManifest,
    TrainingManifest,
    kind_of,
)
from tunixrt.runs.run import Run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tunixrt.datasets.reading import DatasetReader
    from tunixrt.derive import Verdict, Watch
    from tunixrt.eval.evalsets import EvalSet
    from tunixrt.eval.sample_judges import SampleJudge
    from tunixrt.log.digests import Digest
    from tunixrt.runs.catalogue import Catalogue
    from tunixrt.runs.identity import Judge
    from tunixrt.runs.manifests import Manifest


class Remaker:
    """Rebuilds recorded runs, one at a time, in staging directories."""

    def __init__(self, catalogue: Catalogue, reader: DatasetReader, watch: Watch = QUIET) -> None:
        """Wrap the places where inputs are found.

        Args:
            catalogue: the store.
            reader: reads its datasets.
            watch: receives progress and notices.
        """
        self.catalogue = catalogue
        self._reader = reader
        self._watch = watch
        self._evalsets: dict[Digest, EvalSet] = {}

    def verdict(self, manifest: Manifest) -> Verdict:
        """Rebuild one run and compare it; a run that cannot be rebuilt also gets a verdict."""
        with self.made(manifest) as (verdict, _):
            return verdict

    @contextlib.contextmanager
    def made(
        self,
        manifest: Manifest,
        *,
        model: Path | None = None,
        responses: Run | None = None,
        reasons: list[str] | None = None,
    ) -> Iterator[tuple[Verdict, Again[Any] | None]]:
        """Rebuild one run; the new directory exists until the block ends.

        Args:
            manifest: the recorded run.
            model: for responses, the model directory to use instead of the recorded one.
            responses: for an evaluation, the responses to use instead of the recorded ones.
            reasons: why these inputs may differ from the recorded ones.

        Yields:
            The verdict, and the new directory; None where it could not be made.
        """
        self._watch.begin(f"making the {kind_of(manifest)} {manifest.run_id[:12]} again")
        recorded = Run.of(self.catalogue.layout, manifest.run_id)
        with contextlib.ExitStack() as stack:
            # A missing or unusable input ends this run only, not the others.
            try:
                derivation: Derivation[Any] = stack.enter_context(
                    self._derivation(manifest, model, responses, reasons)
                )
                made = stack.enter_context(
                    again(self.catalogue.layout, derivation, recorded.directory, self._watch)
                )
            except (WriteError, MissingExtraError, StoreLockedError):
                raise  # an error of this machine, not of the run
            except (UndecidedError, JudgeFailedError) as error:
                # Without a verdict on this machine, the recorded one is neither right nor wrong.
                undecided = NotReproducibleError(str(error))
                yield not_made(kind_of(manifest), manifest.run_id, undecided), None
                return
            except TunixrtError as error:
                yield not_made(kind_of(manifest), manifest.run_id, error), None
                return
            yield made.verdict, made

    @contextlib.contextmanager
    def _derivation(
        self,
        manifest: Manifest,
        model: Path | None,
        responses: Run | None,
        reasons: list[str] | None,
    ) -> Iterator[Derivation[Any]]:
        """The derivation of a recorded run.

        Raises:
            NotReproducibleError: an input no longer exists here.
        """
        catalogue = self.catalogue
        match manifest:
            case TrainingManifest():
                yield plan_training_again(catalogue, self._reader, manifest)
            case ResponsesManifest():
                here = prepare_machine(manifest.identity.numeric_mode, current_code())
                evalset = self._evalset(manifest.identity.evalset)
                with self._model(manifest, model) as directory:
                    yield Responses(manifest.identity, evalset, directory, here, manifest)
            case EvaluationManifest():
                recorded = Run.of(catalogue.layout, manifest.responses.run_id)
                if responses is None and not recorded.is_published:
                    raise NotReproducibleError(f"the responses {recorded.id[:12]} are not here")
                evalset = self._evalset(manifest.evalset)
                judge = self._judge(manifest.identity.judge)
                yield Judgement(manifest.identity, evalset, responses or recorded, judge, reasons)
            case ContaminationManifest():
                texts = set(manifest.identity.texts)
                runs = [run for run in catalogue.trainings if run.identity.text in texts]
                lineage = by_text(runs)
                if len(lineage) < len(texts):
                    raise NotReproducibleError("a training run with one of the texts is not here")
                evalset = self._evalset(manifest.identity.evalset)
                yield TrainingCheck(catalogue, self._reader, evalset, lineage, manifest.identity)

    @contextlib.contextmanager
    def _model(self, manifest: ResponsesManifest, model: Path | None) -> Iterator[Path]:
        identity = manifest.identity
        if identity.untrained is not None:
            config = RunConfig.from_resolved(identity.untrained)
            with untrained_model(self.catalogue.layout, config) as directory:
                yield directory
        else:
            yield model or find_model(self.catalogue, identity.model)

    def _judge(self, recorded: Judge) -> SampleJudge:
        """The recorded judge, if it can be used here."""
        try:
            judge = sample_judge(recorded.name, self.catalogue.layout.root)
        except FunctionError as error:
            problem = f"the judge {recorded.name} is not here. {error}".rstrip(".")
            raise NotReproducibleError(problem) from error
        except BadInputError as error:  # its library is not installed
            raise NotReproducibleError(str(error)) from error
        if judge.identity.source != recorded.source:
            raise NotReproducibleError(
                f"the judge {recorded.name} has other source here: expected {recorded.source}, "
                f"found {judge.identity.source}"
            )
        return judge

    def _evalset(self, digest: Digest) -> EvalSet:
        if digest not in self._evalsets:
            path = self.catalogue.evalset(digest)
            if path is None:
                raise NotReproducibleError(f"the eval set {digest} is not here")
            self._evalsets[digest] = load_evalset(path)
        return self._evalsets[digest]
