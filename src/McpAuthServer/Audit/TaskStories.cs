using System.Text.Json;
using McpAuth.Protocol.Audit;
using McpAuth.Protocol.Messages;
using McpAuthServer.Storage;

namespace McpAuthServer.Audit;

/// <summary>The whole story of a task and its descendants: one query over the log, in order.</summary>
internal sealed class TaskStories(IReadStore store, IEventSequence sequence)
{
    private static readonly Sql Select = new(
        """
        with recursive down (id) as (select id from tasks where id = @id union all select t.id from tasks t join down on t.parent_id = down.id)
        select e.seq, e.body from audit_events e where e.task in (select id from down) and e.seq is not null order by e.seq
        """);

    public async Task<IReadOnlyList<AuditEvent>> OfAsync(string task, CancellationToken cancel)
    {
        // What was committed before the question has its place in the answer.
        await sequence.SequenceNow(cancel);
        return await store.All(Select.With(task), r => JsonSerializer.Deserialize(r.GetString(1), ProtocolJson.Default.AuditEvent)! with { Seq = r.GetInt64(0) }, cancel);
    }
}
