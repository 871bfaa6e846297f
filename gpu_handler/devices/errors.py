"""How a device fails, for whoever uses one."""


class DeviceExhausted(RuntimeError):
    """The device has no memory even for one photo now; the photo may be tried again later."""


class DeviceLost(RuntimeError):
    """The device answers no more in this process: nothing works until the process is replaced."""
