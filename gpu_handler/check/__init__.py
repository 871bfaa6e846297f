"""Whether this worker could do its work: asked before it takes any."""
