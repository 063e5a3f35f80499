"""Measuring bundles: workers told in turn what to do, figures against the float parent, a report with a schema."""
