"""What Runpod's Hub and console are given: a photo to try, and the shape of their files."""
