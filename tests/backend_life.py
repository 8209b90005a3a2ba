"""A model backend from start to close around some work, as the engine runs it."""

from __future__ import annotations

import uvloop


def run(model, work):
    """What `work(model)` returns, in the engine's kind of loop, between `start` and `close`."""

    async def main():
        await model.start()
        try:
            return await work(model)
        finally:
            await model.close()

    return uvloop.run(main())
