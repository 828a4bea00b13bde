"""Stand-ins for the objects of a pybind11 module whose library is not there.

They have the members of the real classes and no other, take what the real signatures take, give what a test
scripts or else a plain value of the declared type, and remember what was used of them. A mistake in the code
under test shows as the error that the real module would raise.
"""

import inspect
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any

from tests.contracts.signatures import Signature, accepting, signatures

# user code derives from these, which works without the library
DERIVED = ("ILogger", "IProgressMonitor", "IInt8EntropyCalibrator2", "IInt8MinMaxCalibrator")
PLAIN: Mapping[str, Any] = {"None": None, "bool": True, "int": 0, "str": "", "float": 0.0}

# what a member does: called with the stand-in and its arguments
Behaviour = Callable[..., Any]


class World:
    """A module of stand-ins: `module` takes the real one's place; it lacks what is `hidden`.

    Members are named as Class.member: in `behaviours`, which says what they give, and in `used`, which
    collects what was asked for.
    """

    def __init__(
        self, real: ModuleType, hidden: frozenset[str] = frozenset(), used: set[str] | None = None
    ) -> None:
        self.real = real
        self.hidden = hidden
        self.used = set() if used is None else used
        self.behaviours: dict[str, Behaviour] = {}
        self.module = _Module(self)

    def use(self, name: str) -> None:
        """Notes a use; raises AttributeError where the member is hidden."""
        self.used.add(name)
        if name in self.hidden:
            raise AttributeError(f"{name} does not exist in this version")

    def make(self, class_name: str, **state: Any) -> Any:
        """A stand-in for an instance; its properties start with `state`."""
        if class_name == "IHostMemory":
            return _host_memory(self, state.get("content", b"content"))
        return StandIn(self, getattr(self.real, class_name), state)

    def fits(self, kind: str, value: object) -> bool:
        """Whether pybind11 would take the value as this type."""
        if kind in _PLAIN_TYPES:
            return _PLAIN_TYPES[kind](value)
        if kind.lower().startswith(("list[", "collections.abc.sequence[")):
            inner = kind[kind.index("[") + 1 : -1]
            return isinstance(value, list | tuple) and all(self.fits(inner, item) for item in value)
        wanted = self.class_of(kind)
        if wanted is None:
            raise NotImplementedError(f"what fits {kind} is not known here")
        if wanted is getattr(self.real, "Dims", None) and isinstance(value, list | tuple):
            return all(isinstance(size, int) for size in value)
        # a null pointer is None
        is_one = isinstance(value, wanted) or (value is None and not hasattr(wanted, "__members__"))
        return is_one or issubclass(_real_class(value), wanted)

    def class_of(self, kind: str) -> type | None:
        """The class that a signature means; C++ names stand where the class was bound later."""
        name = kind.rpartition("::")[2].rpartition(".")[2]
        for guess in (name, name.removeprefix("I")):
            found = getattr(self.real, guess, None)
            if isinstance(found, type):
                return found
        return None

    def give(self, result: str) -> Any:
        """A plain value of a declared type."""
        if result in PLAIN:
            return PLAIN[result]
        if result.lower().startswith(("list", "tuple")):
            return []
        wanted = self.class_of(result)
        if wanted is None:
            return None
        if hasattr(wanted, "__members__"):
            return next(iter(wanted.__members__.values()))
        return wanted(()) if wanted.__name__ == "Dims" else self.make(wanted.__name__)


class StandIn:
    """Stands for an instance of a real class."""

    __slots__ = ("_real", "_state", "_world")
    _real: type
    _state: dict[str, Any]
    _world: World

    def __init__(self, world: World, real: type, state: dict[str, Any]) -> None:
        object.__setattr__(self, "_world", world)
        object.__setattr__(self, "_real", real)
        object.__setattr__(self, "_state", state)

    def __getattr__(self, name: str) -> Any:
        world, full = self._world, f"{self._real.__name__}.{name}"
        world.use(full)
        member = inspect.getattr_static(self._real, name)  # raises AttributeError
        if not isinstance(member, property):
            return _Method(world, full, getattr(self._real, name).__doc__ or "", self)
        if name not in self._state:
            behaviour = world.behaviours.get(full)
            (getter,) = signatures(member.fget.__doc__ or "")
            return behaviour(self) if behaviour else self._state.setdefault(name, world.give(getter.result))
        return self._state[name]

    def __setattr__(self, name: str, value: object) -> None:
        world, full = self._world, f"{self._real.__name__}.{name}"
        world.use(full)
        member = inspect.getattr_static(self._real, name)
        if not isinstance(member, property) or member.fset is None:
            raise AttributeError(f"{full} cannot be set")
        accepting(signatures(member.fset.__doc__ or ""), [value], {}, world.fits)
        behaviour = world.behaviours.get(f"{full}=")
        self._state[name] = behaviour(self, value) if behaviour else value

    def __repr__(self) -> str:
        return f"<stand-in of {self._real.__name__}>"


class _Method:
    def __init__(self, world: World, name: str, doc: str, instance: object = None) -> None:
        self._world, self._name, self._doc, self._instance = world, name, doc, instance

    def __call__(self, *arguments: object, **keywords: object) -> Any:
        try:
            taken = accepting(signatures(self._doc), arguments, keywords, self._world.fits)
        except TypeError as error:
            raise TypeError(f"{self._name}() {error}") from None
        behaviour = self._world.behaviours.get(self._name)
        if behaviour is None:
            return self._world.give(taken.result)
        own = () if self._instance is None else (self._instance,)
        return _checked(self._world, self._name, taken, behaviour(*own, *arguments, **keywords))


def _checked(world: World, name: str, taken: Signature, value: Any) -> Any:
    """A script must not give what the real function cannot."""
    if not _is_untyped(taken.result) and not world.fits(taken.result, value):
        raise AssertionError(f"the script of {name} gives {value!r} for {taken.result}")
    return value


def _is_untyped(result: str) -> bool:
    return result.startswith("detail::") or result.lower().startswith(("list", "tuple", "dict"))


class _Module:
    def __init__(self, world: World) -> None:
        self._world = world

    def __getattr__(self, name: str) -> Any:
        world = self._world
        found = getattr(world.real, name)
        if name.startswith("__"):
            return found
        world.use(name)
        if name in DERIVED:
            return found
        if isinstance(found, type):
            return _Enum(world, found) if hasattr(found, "__members__") else _Class(world, found)
        return _Method(world, name, found.__doc__ or "") if callable(found) else found


class _Enum:
    def __init__(self, world: World, real: Any) -> None:
        self._world, self._real = world, real

    @property
    def __members__(self) -> dict[str, Any]:
        """As pybind11 has it; being listed is no use of a member."""
        prefix = self._real.__name__
        members = self._real.__members__.items()
        return {name: of for name, of in members if f"{prefix}.{name}" not in self._world.hidden}

    def __getattr__(self, name: str) -> Any:
        member = self._real.__members__.get(name)
        if member is None:
            raise AttributeError(f"{self._real.__name__} has no member {name}")
        self._world.use(f"{self._real.__name__}.{name}")
        return member


class _Class:
    """A class that is called to make an instance."""

    def __init__(self, world: World, real: type) -> None:
        self._world, self._real = world, real

    def __call__(self, *arguments: object, **keywords: object) -> Any:
        doc = self._real.__init__.__doc__ or ""  # type: ignore[misc]
        if " -> " not in doc:
            raise TypeError(f"{self._real.__name__}: No constructor defined!")
        accepting(signatures(doc), arguments, keywords, self._world.fits)
        return self._world.make(self._real.__name__)


def _host_memory(world: World, content: bytes) -> Any:
    """Real host memory is a buffer, which in Python 3.11 only bytes can be."""
    allowed = set(dir(world.real.IHostMemory))

    class HostMemory(bytes):
        stands_for = world.real.IHostMemory
        nbytes = property(len)

        def __getattribute__(self, name: str) -> Any:
            if name not in allowed and not name.startswith("__"):
                raise AttributeError(f"IHostMemory has no attribute {name!r}")
            return super().__getattribute__(name)

    return HostMemory(content)


def _real_class(value: object) -> type:
    return value._real if isinstance(value, StandIn) else vars(type(value)).get("stands_for", type(value))


def _is_integer(value: object) -> bool:
    return isinstance(value, int) or hasattr(type(value), "__index__")


def _is_buffer(value: object) -> bool:
    return isinstance(value, bytes | bytearray | memoryview)


_PLAIN_TYPES: Mapping[str, Callable[[object], bool]] = {
    "None": lambda value: value is None,
    "bool": lambda value: isinstance(value, bool),
    "int": _is_integer,
    "typing.SupportsInt": _is_integer,
    "float": lambda value: isinstance(value, int | float),
    "typing.SupportsFloat": lambda value: isinstance(value, int | float),
    "str": lambda value: isinstance(value, str),
    "bytes": lambda value: isinstance(value, bytes),
    "tuple": lambda value: isinstance(value, tuple),
    "list": lambda value: isinstance(value, list),
    "object": lambda _: True,
    "capsule": lambda _: True,
    "typing_extensions.CapsuleType": lambda _: True,
    "buffer": _is_buffer,
    "typing_extensions.Buffer": _is_buffer,
}
