"""A stock Socket.IO client in Python. It does what the lines of its input say, and tells what it hears by lines of its output."""
import asyncio
import json
import sys

import socketio

EVENTS = ["ready", "user_status_change", "token_expiring", "session_closed"]


def tell(**line):
    print(json.dumps(line), flush=True)


async def main():
    url, transport, auth = json.loads(sys.stdin.readline())
    # As the documentation of python-socketio has it: it connects again by itself, and asks for the token each time.
    client = socketio.AsyncClient()

    def hear(event):
        async def heard(data):
            tell(event=event, data=data)

        client.on(event, heard)

    for event in EVENTS:
        hear(event)

    async def connected():
        tell(event="connect")

    async def disconnected(*_):
        tell(event="disconnect")

    async def refused(data):
        tell(event="connect_error", data=data)

    client.on("connect", connected)
    client.on("disconnect", disconnected)
    client.on("connect_error", refused)
    await client.connect(url, auth=lambda: auth, transports=[transport], wait_timeout=10)

    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        event, data = json.loads(line)
        if event == "token":
            auth["token"] = data
        else:
            tell(answer=await client.call(event, data, timeout=20))
    await client.disconnect()


asyncio.run(main())
