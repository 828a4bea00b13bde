from engines.backends.fake import Fake
from tests.contracts.backend import BackendContract


class TestFake(BackendContract):
    name = Fake.name
