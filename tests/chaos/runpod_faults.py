"""The faults that the emulator itself can play."""

import aiohttp

NAMES = ("drop_done", "run_hangs", "duplicates")
PATIENCE = aiohttp.ClientTimeout(total=5)


class RunpodFaults:
    """A result that is lost, a `/run` that is taken and never answered, a job handed out twice."""

    names = NAMES

    def __init__(self, http: aiohttp.ClientSession, api_key: str) -> None:
        self.url = ""
        self._http = http
        self._headers = {"Authorization": f"Bearer {api_key}"}

    async def strike(self, name: str) -> None:
        await self._control({name: 1})

    async def stop(self) -> None:
        await self._control(dict.fromkeys(NAMES, 0))

    async def _control(self, changes: dict[str, int]) -> None:
        try:
            async with self._http.post(
                f"{self.url}/_control", json=changes, headers=self._headers, timeout=PATIENCE
            ):
                return
        except (aiohttp.ClientError, TimeoutError):
            return  # it was killed meanwhile, and has no faults then
