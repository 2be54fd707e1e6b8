"""The console: a page that shows the catalog to people. It reads what the native API tells everybody, and changes nothing."""
