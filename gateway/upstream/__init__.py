"""The outbound side: everything that knows FreshBooks Classic."""
