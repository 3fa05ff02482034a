"""The registry that remembers: model versions in MLflow, three aliases, and a record of every move of an alias.

MLflow keeps no history of alias moves, so each move is first written down as a tag of the registered model and only
then carried out. A kill between the two leaves a record whose aliases have not followed; `history` shows it as not
done, and the same command again completes it.

Two who move at once, on one machine or on two, need no lock, which MLflow does not have: each record has a name of its own,
so none is lost, and each looks again after it moved the aliases and makes them those of the history's last move, whoever
wrote it. So they always end there: who moves the aliases last sees all records."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infra.errors import BadInput, NothingToDo, NotReady
from infra.settings import Settings
from infra.tracking import connect

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import RegisteredModel

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
ALIASES = (CHAMPION, CHALLENGER, PREVIOUS)
#: followed by the move's number and, since two may be made at once, some letters of its own
_MOVE_TAG = "shelfcast.move."
#: characters of who and why; a tag of MLflow has room for 5,000
_LONGEST_WHO, _LONGEST_WHY = 200, 2_000
#: how folders of models end that are being fetched, and the seconds after which one is a killed process's
_PARTIAL, _ABANDONED_SECONDS = ".partial", 86_400
_PREFIX = "shelfcast-"


@dataclass(frozen=True)
class Move:
    """One move of the champion alias: who moved it from which version to which, why, and on what numbers."""

    family: str
    action: str
    at: str
    who: str
    why: str
    from_version: str | None
    to_version: str
    numbers: Mapping[str, float]
    done: bool = True


@dataclass(frozen=True)
class Registry:
    """Versions and aliases of every family at `settings.tracking_url`."""

    settings: Settings

    @property
    def client(self) -> MlflowClient:
        """An MLflow client of the tracking server and registry."""
        return connect(self.settings)

    def version(self, family: str, alias: str) -> str | None:
        """The version that `alias` points to, or None."""
        model = self._model(family)
        return _aliases(model).get(alias) if model else None

    def register(self, family: str, run_id: str, model_uri: str, numbers: Mapping[str, float]) -> str:
        """A new version of `family` from a run's logged model, its judged numbers beside it. Returns the version."""
        from mlflow.exceptions import MlflowException

        client = self.client
        name = model_name(family)
        if self._model(family) is None:
            try:
                client.create_registered_model(name, description=f"Shelfcast's {family} models")
            except MlflowException as error:  # another process may have been first
                if "already exists" not in str(error):
                    raise
        tags = {"numbers": json.dumps(dict(numbers))}
        logged = model_uri.removeprefix("models:/")
        # a server, unlike the sqlite store, wants a logged model named twice
        made = client.create_model_version(
            name, source=model_uri, run_id=run_id, tags=tags, model_id=logged if logged.startswith("m-") else None
        )
        return str(made.version)

    def set_challenger(self, family: str, version: str) -> None:
        """Point `challenger` at a version whose gates passed."""
        self._require_version(family, version)
        self.client.set_registered_model_alias(model_name(family), CHALLENGER, version)

    def promote(self, family: str, version: str | None, who: str, why: str) -> Move:
        """Make `version` (the challenger when None) champion and the old champion `previous`. Promoting what is
        champion already completes an interrupted move and otherwise changes nothing."""
        target = version or self.version(family, CHALLENGER)
        if target is None:
            raise NotReady(f"{family} has no challenger to promote: run `shelfcast train {family}` first, or name a version.")
        # as the registry writes it: "02" would be recorded as another version than the one that serves
        return self._move(family, "promote", str(self._require_version(family, target).version), who, why)

    def newest_challenger(self, family: str) -> str:
        """The version that a schedule may promote: the challenger where it is the newest version and the last word was no rollback.
        Raises NothingToDo with what a person has to decide."""
        challenger = self.version(family, CHALLENGER)
        if challenger is None:
            raise NothingToDo(f"{family} has no challenger to promote: the gates kept the champion.")
        newest = max(int(v.version) for v in self.client.search_model_versions(f"name = '{model_name(family)}'"))
        if challenger != str(newest):
            raise NothingToDo(
                f"{family}'s challenger is version {challenger}, and version {newest} came after it and passed no gates: whether the "
                f"older one is to serve is for a person to say (`shelfcast promote {family} --version {challenger}`)."
            )
        past = self.history(family)
        if past and past[-1].action == "rollback":
            last = past[-1]
            raise NothingToDo(
                f"{last.who} took {family} back to version {last.to_version} ({last.why}): the next promotion is for a person to make "
                f"(`shelfcast promote {family}`)."
            )
        return challenger

    def rollback(self, family: str, who: str, why: str) -> Move:
        """Make `previous` champion again; the two change places. A move that was interrupted is completed first, since half of it
        may be done; where that was a rollback, no further one is made."""
        past = self._recorded(family)
        if past and not past[-1][1].done:
            settled = self._settle(*past[-1])
            if settled.action == "rollback":
                return settled
        target = self.version(family, PREVIOUS)
        if target is None:
            raise NotReady(f"{family} has no previous champion to go back to.")
        return self._move(family, "rollback", target, who, why)

    def history(self, family: str) -> list[Move]:
        """Every move, oldest first; a move whose aliases have not followed is marked not done."""
        return [move for _, move in self._recorded(family)]

    def champion_on(self, family: str, day: date) -> str | None:
        """The version that was champion at the end of a day (UTC), or None."""
        moves = [move for move in self.history(family) if move.done]
        past = [move.to_version for move in moves if datetime.fromisoformat(move.at).date() <= day]
        return past[-1] if past else None

    def _recorded(self, family: str) -> list[tuple[str, Move]]:
        """The moves of `history` with the name of each one's record."""
        model = self._model(family)
        if model is None:
            return []
        told = [(key, Move(**json.loads(value))) for key, value in model.tags.items() if key.startswith(_MOVE_TAG)]
        # by number; of those that were made at once and so have the same, by time
        told.sort(key=lambda pair: (_number(pair[0]), pair[1].at, pair[0]))
        # what the next move found as champion, or who is it now, says whether a move's aliases followed
        found = [*(move.from_version for _, move in told[1:]), _aliases(model).get(CHAMPION)]
        return [(key, replace(move, done=move.to_version == then)) for (key, move), then in zip(told, found, strict=False)]

    def numbers(self, family: str, version: str) -> dict[str, float]:
        """The judged numbers that were registered with a version."""
        found = self._require_version(family, version)
        return json.loads(found.tags.get("numbers", "{}"))

    def run_id(self, family: str, version: str) -> str:
        """The training run of a version."""
        return self._require_version(family, version).run_id

    def models(self) -> list[dict[str, Any]]:
        """Every family with its aliases, newest version and that version's numbers."""
        out = []
        for model in self._ours():
            family = model.name.removeprefix(_PREFIX)
            versions = [str(v.version) for v in self.client.search_model_versions(f"name = '{model.name}'")]
            champion = _aliases(model).get(CHAMPION)
            out.append({
                "family": family, "aliases": _aliases(model), "versions": sorted(versions, key=int),
                "numbers": self.numbers(family, champion) if champion else {},
            })  # fmt: skip
        return sorted(out, key=lambda row: row["family"])

    def _ours(self) -> Iterator[RegisteredModel]:
        """The registered models of our families, page by page: a shared server may have hundreds of others before them by name."""
        page: str | None = None
        while page != "":
            found = self.client.search_registered_models(f"name LIKE '{_PREFIX}%'", page_token=page)
            yield from found
            page = found.token or ""

    def folder(self, family: str, version: str) -> Path:
        """The portable model's files, fetched once into `<home>/models/<registry>/<family>/<version>-<run>`: another registry's
        version of the same number is another model, and so is one of the same registry that was made anew. A kill leaves no half
        folder."""
        whose = hashlib.sha256(self.settings.tracking_url.encode()).hexdigest()[:8]
        found = self._require_version(family, version)
        target = self.settings.home / "models" / whose / family / f"{version}-{found.run_id}"
        if target.is_dir():
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target.parent)
        # taken away again whatever happens: who polls a registry whose files cannot be fetched would fill the disk
        with tempfile.TemporaryDirectory(suffix=_PARTIAL, prefix=f".{version}.", dir=target.parent, ignore_cleanup_errors=True) as partial:
            data = self._fetch(family, version, found.source, Path(partial))
            try:
                data.rename(target)
            except OSError:
                if not target.is_dir():  # it is there when another process was first
                    raise
        return target

    def _fetch(self, family: str, version: str, source: str, into: Path) -> Path:
        """The folder of the portable model among the version's files, its input example in it."""
        import mlflow.artifacts

        fetched = Path(mlflow.artifacts.download_artifacts(artifact_uri=self._location(source), dst_path=str(into)))
        data = next((path.parent for path in fetched.rglob("portable.json")), None)
        if data is None:
            raise NotReady(f"{family} version {version} holds no portable model at {source}.")
        example = next(fetched.rglob("input_example.json"), None)
        if example is not None:  # serving proves a version on it before the version may serve
            shutil.copy(example, data / example.name)
        return data

    def _location(self, source: str) -> str:
        """Where a version's files lie. A `models:/m-...` source is looked up here: MLflow itself would ask the process's
        global tracking server, which need not be ours."""
        logged = source.removeprefix("models:/")
        return self.client.get_logged_model(logged).artifact_location if logged.startswith("m-") else source

    def _move(self, family: str, action: str, target: str, who: str, why: str) -> Move:
        if not who.strip() or not why.strip():
            raise BadInput(f"a {action} of {family} needs --who and --why: the registry remembers both.")
        for name, text, at_most in (("who", who, _LONGEST_WHO), ("why", why, _LONGEST_WHY)):
            if len(text) > at_most:
                raise BadInput(f"--{name} of a {action} of {family} has {len(text):,} characters: expected at most {at_most:,}.")
        past = self._recorded(family)
        if past and past[-1][1].to_version == target and past[-1][1].action == action:
            return self._settle(*past[-1])
        current = self.version(family, CHAMPION)
        move = Move(
            family, action, datetime.now(UTC).isoformat(timespec="seconds"), who, why, current, target, self.numbers(family, target)
        )
        key = f"{_MOVE_TAG}{len(past):06d}.{uuid.uuid4().hex[:8]}"
        self.client.set_registered_model_tag(model_name(family), key, json.dumps(asdict(move), ensure_ascii=False))
        return self._settle(key, move)

    def _settle(self, key: str, move: Move) -> Move:
        """Carry out the move of that record, and after it what others recorded later meanwhile; returns `move`, done."""
        last = (key, move)
        while True:
            self._carry_out(last[1])
            newest = self._recorded(move.family)[-1]
            if newest[0] == last[0]:
                return replace(move, done=True)
            last = newest

    def _carry_out(self, move: Move) -> None:
        name = model_name(move.family)
        if move.from_version and move.from_version != move.to_version:
            self._point(name, PREVIOUS, move.from_version)
        self._point(name, CHAMPION, move.to_version)
        if self.version(move.family, CHALLENGER) == move.to_version:
            self.client.delete_registered_model_alias(name, CHALLENGER)

    def _point(self, name: str, alias: str, version: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self.client.set_registered_model_alias(name, alias, version)
        except MlflowException:
            # of two who make an alias at once MLflow refuses one, though there it is to be moved now
            self.client.set_registered_model_alias(name, alias, version)

    def _model(self, family: str):
        from mlflow.exceptions import MlflowException

        try:
            return self.client.get_registered_model(model_name(family))
        except MlflowException as error:
            if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                return None
            raise

    def _require_version(self, family: str, version: str):
        from mlflow.exceptions import MlflowException

        try:
            return self.client.get_model_version(model_name(family), version)
        except MlflowException as error:
            model = self._model(family)
            known = [v.version for v in self.client.search_model_versions(f"name = '{model_name(family)}'")] if model else []
            raise BadInput(f"{family} has no version {version!r}: it has {', '.join(map(str, sorted(known))) or 'none'}.") from error


def _sweep(folder: Path) -> None:
    """Take away what killed processes had fetched half."""
    for left in folder.glob(f".*{_PARTIAL}"):
        if time.time() - left.stat().st_mtime > _ABANDONED_SECONDS:
            shutil.rmtree(left, ignore_errors=True)


def _number(key: str) -> int:
    return int(key.removeprefix(_MOVE_TAG).partition(".")[0])


def _aliases(model) -> dict[str, str]:
    # the sqlite store answers with integers, the server with text
    return {alias: str(version) for alias, version in model.aliases.items()}


def model_name(family: str) -> str:
    """The registered model of a family."""
    return f"{_PREFIX}{family}"
