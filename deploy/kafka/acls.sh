#!/bin/sh
# Grants each user of Kafka what it needs, and no more. Both topics have to exist already: no process
# gets the right to create them. Adding a right that is there changes nothing.
#
#   deploy/kafka/acls.sh broker:9092 --command-config admin.properties
#
# Names that are not the default ones are taken from ORDERS_KAFKA_TOPIC, ORDERS_KAFKA_DLQ_TOPIC and
# ORDERS_KAFKA_GROUP, as the processes take them.
set -eu
server=$1
shift
orders=${ORDERS_KAFKA_TOPIC:-orders}
dead_letters=${ORDERS_KAFKA_DLQ_TOPIC:-orders.dlq}
group=${ORDERS_KAFKA_GROUP:-orders-group}
options="$*"

# grant USER topic|group NAME OPERATION
grant() {
	# shellcheck disable=SC2086 (options are words)
	kafka-acls.sh --bootstrap-server "$server" $options --add \
		--allow-principal "User:$1" "--$2" "$3" --operation "$4"
}

# The API and `orders generate` write orders. They see nothing of the dead letters.
grant orders-api topic "$orders" Write
grant orders-api topic "$orders" DescribeConfigs

grant orders-consumer topic "$orders" Read
grant orders-consumer topic "$orders" DescribeConfigs
grant orders-consumer group "$group" Read
grant orders-consumer topic "$dead_letters" Write
grant orders-consumer topic "$dead_letters" DescribeConfigs

# A person with `orders dlq` and `orders doctor`. The topic with the notes of replays may be created.
grant orders-operator topic "$dead_letters" Read
grant orders-operator topic "$dead_letters" DescribeConfigs
grant orders-operator topic "$orders" Write
grant orders-operator topic "$orders" DescribeConfigs
grant orders-operator group "$group" Describe
grant orders-operator topic "$dead_letters.replays" Create
grant orders-operator topic "$dead_letters.replays" Read
grant orders-operator topic "$dead_letters.replays" Write

# A person with `orders dlq delete`. Kafka has one right for that and for deleting the whole topic.
grant orders-eraser topic "$dead_letters" Read
grant orders-eraser topic "$dead_letters" DescribeConfigs
grant orders-eraser topic "$dead_letters" Delete
grant orders-eraser topic "$dead_letters.replays" Read
