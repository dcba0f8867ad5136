"""Strangers' clients: libraries and programs that do not know Firedoor.

They come from Debian: slixmpp and aioxmpp (two lineages of library), and
profanity (libstrophe), driven in a terminal.  What our own raw client sees may
be what we expect to see; these have no such expectations.
"""

import asyncio

import pytest


@pytest.fixture
def run():
    """Runs a coroutine to its end on a loop of its own."""
    def run(coroutine, timeout=60):
        async def bounded():
            return await asyncio.wait_for(coroutine, timeout)

        loop = asyncio.new_event_loop()
        asyncio.set_event_loop(loop)
        try:
            return loop.run_until_complete(bounded())
        finally:
            # what the libraries leave running is theirs, and ends here
            for task in asyncio.all_tasks(loop):
                task.cancel()
            loop.run_until_complete(asyncio.sleep(0))
            asyncio.set_event_loop(None)
            loop.close()

    return run
