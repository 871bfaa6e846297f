"""The Runpod handler: photos from R2, masks, rules on pixels, results back to R2."""
