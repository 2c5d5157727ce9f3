"""What `make bench` does: the product, measured from outside beside others on the same machine.

Every figure stands beside a limit or a peer that was measured in the same run, so that the ratio of
the two holds on any machine. The product is processes on real servers, asked by real HTTP and
Kafka; every run checks that what is stored and answered is what was sent.
"""
