"""What stands behind the cache's port where no cache is configured."""
