"""Bytes to pixels and back: decoding, colour science, PNG and preview encoding."""
