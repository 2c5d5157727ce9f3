"""The routes of orders: one, lists, new ones and random ones, and what they read and write."""
