using McpAuthServer.Storage;

namespace McpAuthServer.Clients.Registrations;

/// <summary>Ends registrations that nobody used for so long that nobody will; never one that still has refresh tokens.</summary>
internal sealed partial class RegistrationExpiry(ICommitLog log, IReadStore store, ServerOptions options, TimeProvider time, ILogger<RegistrationExpiry> logger) : RecurringWork(TimeSpan.FromMinutes(1), time)
{
    public const int Batch = 100;

    private static readonly Sql Due = new(
        """
        select c.id from clients c where c.expires_at <= @now and c.origin = 'dynamic' and c.state = 'active' and not exists (
          select 1 from consents n join refresh_families f on f.consent_id = n.id where n.client_id = c.id and f.state = 'active' and f.expires_at > @now)
        order by c.expires_at limit @batch
        """);

    protected override Task RunAsync(CancellationToken cancel) => EndDueAsync(cancel);

    protected override void Failed(Exception e) => Log.Failed(logger, e);

    public async Task EndDueAsync(CancellationToken cancel)
    {
        int ended;
        do
        {
            var now = Time.GetUtcNow();
            var due = await store.All(Due.With(now.ToUnixTimeMilliseconds(), Batch), r => r.GetString(0), cancel);
            ended = due.Count == 0 ? 0 : await log.Commit(new EndRegistrations(due, due: true, now, options.Node));
        }
        while (ended == Batch && !cancel.IsCancellationRequested);
    }

    private static partial class Log
    {
        [LoggerMessage(Level = LogLevel.Warning, Message = "Ending unused registrations failed; it is tried again.")]
        public static partial void Failed(ILogger logger, Exception e);
    }
}
