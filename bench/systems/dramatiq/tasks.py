"""The broker and the actors, for both the worker and the client."""

import dramatiq
from dramatiq.brokers.redis import RedisBroker

import reporting

# How many commands in a million also look for workers whose heartbeat is too old: 1000 is the default.
EVERY_COMMAND = 1_000_000
SETTINGS = {"heartbeat_timeout": 10_000, "maintenance_chance": EVERY_COMMAND} if reporting.FAST else {}


class Ready(dramatiq.Middleware):
    """Tells that the threads of the worker process have been started."""

    def after_worker_boot(self, _broker: object, _worker: object) -> None:
        reporting.ready()


broker = RedisBroker(url=reporting.REDIS, **SETTINGS)
broker.add_middleware(Ready())
dramatiq.set_broker(broker)

# Only the queues of one mode are declared: a worker has a thread of its own for each queue and asks it again and again.
# Without the middleware for results, a value that goes nowhere makes the worker log a warning for each job.
if reporting.MODE == "noop":

    @dramatiq.actor(queue_name="noop")
    def noop(_number: int) -> None:
        reporting.COUNTER.began()
        reporting.COUNTER.ended()

elif reporting.MODE == "chain":

    @dramatiq.actor(queue_name="first")
    def first(number: int) -> int:
        reporting.COUNTER.began()
        return number

    @dramatiq.actor(queue_name="second")
    def second(number: int) -> int:
        return number

    @dramatiq.actor(queue_name="third")
    def third(number: int) -> int:
        return number

    @dramatiq.actor(queue_name="fourth")
    def fourth(_number: int) -> None:
        reporting.COUNTER.ended()

elif reporting.MODE == "latency":

    @dramatiq.actor(queue_name="latency")
    def latency(number: int, stamp_ns: int) -> None:
        reporting.started(number, stamp_ns)

else:

    @dramatiq.actor(queue_name="sleep")
    def sleep(number: int) -> None:
        reporting.sleeping_here(number)
