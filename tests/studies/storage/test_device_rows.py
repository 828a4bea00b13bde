from dataclasses import replace

from engines.machine.device import Device
from studies.core.records import RepeatRecord, StudySpec
from studies.storage.storage import Storage
from tests.studies.stored import START, add, measured

DEVICE = Device("node7", "GPU-12", "gpu", "a GPU", 3)


def test_trials_and_repeats_name_their_device(storage: Storage, study_spec: StudySpec) -> None:
    storage.create_study("study", study_spec, {})
    storage.add_device("study", DEVICE)
    add(storage, "study", 0, measured(0), device=DEVICE.name)
    add(storage, "study", 1, measured(1))
    repeat = RepeatRecord(0, "anchor", 1, 0, 0, measured(0), START, DEVICE.name)
    storage.add_repeat("study", "key 0", repeat)
    study = storage.read_study("study")
    assert [trial.device for trial in study.trials] == ["GPU-12", ""]
    assert [repeat.device for repeat in study.repeats] == ["GPU-12"]
    (brief,) = storage.read_trials("study", [0], (), {"latency_ms"})
    assert brief.device == "GPU-12"
    assert storage.devices("study") == (DEVICE,)


def test_device_is_stored_once_for_each_state_of_its_machine(storage: Storage, study_spec: StudySpec) -> None:
    newer = replace(study_spec, machine=replace(study_spec.machine, driver="999"))
    for study, spec in (("study", study_spec), ("other", study_spec), ("later", newer)):
        storage.create_study(study, spec, {})
    storage.add_device("study", DEVICE)
    storage.add_device("other", replace(DEVICE, index=0))
    assert storage.devices("study") == storage.devices("other") == (DEVICE,)
    assert storage.devices("later") == ()
    add(storage, "later", 0, measured(0), device=DEVICE.name)
    assert storage.devices("later") == (replace(DEVICE, host="", index=0),)


def test_device_that_was_not_added_is_known_by_its_name_and_machine(
    storage: Storage, study_spec: StudySpec
) -> None:
    storage.create_study("study", study_spec, {})
    for number in range(2):
        add(storage, "study", number, measured(number), device="host/GPU-1")
    assert storage.devices("study") == (Device("host", "GPU-1", "gpu", "a GPU"),)
