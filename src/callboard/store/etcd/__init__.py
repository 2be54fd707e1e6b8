"""Rows in etcd, for several servers on one catalog: `callboard serve --store etcd://HOST:PORT[,HOST:PORT]/PREFIX`."""
