"""The demo: albums of photos go the whole way a phone would send them, on this machine."""
