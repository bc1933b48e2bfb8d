noinst_LIBRARIES += replica/libreplica.a
replica_libreplica_a_SOURCES = \
	replica/checkpoint.c \
	replica/client.c \
	replica/conn.c \
	replica/containers.c \
	replica/deliver.c \
	replica/expire.c \
	replica/fifo.c replica/fifo.h \
	replica/forward.c \
	replica/handshake.c \
	replica/inspect.c replica/inspect.h \
	replica/learner.c \
	replica/linear.c \
	replica/load.c \
	replica/members.c \
	replica/output.c \
	replica/owner.c \
	replica/read.c \
	replica/read_job.c \
	replica/read_list.c \
	replica/read_watches.c \
	replica/readonly.c \
	replica/replica.c replica/replica.h replica/replica_internal.h \
	replica/role.c \
	replica/status.c \
	replica/wait.c \
	replica/write.c
EXTRA_DIST += replica/README
# The four libraries below do not know one another; what they share comes last.
replica_libs = replica/libreplica.a zab/libzab.a znode/libznode.a \
	session/libsession.a $(proto_libs) $(CRYPTO_LIBS)
