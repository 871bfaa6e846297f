"""Textures: seamless materials laid on surfaces in perspective, in the room's light."""
