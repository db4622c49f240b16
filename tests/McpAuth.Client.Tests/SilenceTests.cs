using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Tracing;
using McpAuth.Protocol.Jose;
using static McpAuth.Client.Tests.AgentFixture;

namespace McpAuth.Client.Tests;

/// <summary>Whatever a program listens to (events, activities, traces, exceptions, its own texts), no secret is in it.</summary>
public sealed class SilenceTests : IClassFixture<FakeServer>, IDisposable
{
    private readonly FakeServer server;
    private readonly SigningKey key = SigningKey.Create();

    public SilenceTests(FakeServer server) => PrepareWorkload(this.server = server, key);

    [Fact]
    public async Task Secrets_OfAWholeLife_AreInNothingThatIsLogged()
    {
        using var heard = new Heard();
        string evidence = Evidence(4711);
        Func<Received, Answer> attest = server.Answers["/agents/instances"], token = server.Answers["/token"];
        server.Answers["/bc-authorize"] = _ => Answer.Json("""{"auth_req_id":"secret-question","expires_in":600,"interval":1}""");
        server.Answers["/agents/instances"] = r => Answer.Json(attest(r).Body!.Replace("instance-", "secret-instance-", StringComparison.Ordinal));
        server.Answers["/token"] = r => r.Field("auth_req_id") is not null ? Answer.Error(400, "access_denied")
            : Answer.Json(token(r).Body!.Replace("\"token-", "\"secret-token-", StringComparison.Ordinal).TrimEnd().TrimEnd('}') + ",\"refresh_token\":\"secret-refresh\"}");

        await using (AgentSession session = await AgentSession.AttestAsync(server.Issuer, WorkloadEvidence.Token(_ => ValueTask.FromResult(evidence)), key, server.Options()))
        {
            await using AgentTask task = await session.BeginTask("p", Json(Details));
            AccessToken first = await task.GetToken(Resource);
            HandOff handOff = await task.HandOff("part", Json(Details[..Details.IndexOf(",\n", StringComparison.Ordinal)] + "]"));
            await using AgentTask child = await session.AcceptHandOff(HandOff.Parse(handOff.ToJson()));
            heard.Add(session, task, first, handOff, child, child.View);
            BackchannelRequest question = await session.AskPerson("ann@example.com", "p", Json(Details));
            heard.Add(question, await Record.ExceptionAsync(() => question.BeginTask()));
            // Everything is refused, and everything fails.
            foreach (Answer answer in new[] { Answer.Error(400, "invalid_grant", "no"), new Answer(500, "<html>", "text/html"), Answer.Json("{}"), Answer.Json("nonsense"), Answer.Error(503, "x") })
            {
                server.Answers["/token"] = server.Answers["/tasks"] = server.Answers["/agents/instances"] = server.Answers["/bc-authorize"] = _ => answer;
                heard.Add(
                    await Record.ExceptionAsync(() => child.GetToken(Other).AsTask()), await Record.ExceptionAsync(() => session.BeginTask("p", Json(Details))),
                    await Record.ExceptionAsync(() => session.AcceptHandOff(handOff)), await Record.ExceptionAsync(() => session.AskPerson("ann", "p", Json(Details))),
                    await Record.ExceptionAsync(() => AgentSession.AttestAsync(server.Issuer, WorkloadEvidence.Token(_ => ValueTask.FromResult(evidence)), key, server.Options())));
            }
        }

        string all = heard.All;
        // It did hear this program.
        Assert.Contains("/agents/instances", all, StringComparison.Ordinal);
        string[] assertions = [.. server.Requests.Select(r => r.Field("client_assertion")).OfType<string>()], proofs = [.. server.Requests.SelectMany(r => r.Proofs).OfType<string>()];
        Assert.NotEmpty(assertions);
        string d = Convert.ToBase64String(key.ExportPkcs8())[..40];
        Assert.All([evidence, "secret-instance", "secret-token", "secret-refresh", "secret-question", d, .. assertions, .. proofs], secret => Assert.DoesNotContain(secret, all, StringComparison.Ordinal));
    }

    public void Dispose() => key.Dispose();

    /// <summary>Everything that a program can subscribe to, but what the runtime calls private diagnostics.</summary>
    private sealed class Heard : EventListener
    {
        private readonly ConcurrentQueue<string> lines = new();
        private readonly ActivityListener activities;
        private readonly TextWriterTraceListener traces = new(new StringWriter());

        public Heard()
        {
            activities = new ActivityListener
            {
                ShouldListenTo = _ => true, Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
                ActivityStopped = a => lines.Enqueue($"{a.OperationName} {a.DisplayName} {string.Join(' ', a.TagObjects.Select(t => $"{t.Key}={t.Value}"))}"),
            };
            ActivitySource.AddActivityListener(activities);
            Trace.Listeners.Add(traces);
        }

        public string All => string.Join('\n', lines) + traces.Writer;

        public void Add(params object?[] texts)
        {
            foreach (object? text in texts) lines.Enqueue(text?.ToString() ?? "");
        }

        protected override void OnEventSourceCreated(EventSource eventSource)
        {
            if (eventSource.Name.StartsWith("System.Net", StringComparison.Ordinal) || eventSource.Name.StartsWith("Microsoft-Extensions", StringComparison.Ordinal)
                || eventSource.Name.StartsWith("McpAuth", StringComparison.Ordinal) || eventSource.Name.StartsWith("Microsoft-Diagnostics", StringComparison.Ordinal))
                EnableEvents(eventSource, EventLevel.Verbose, EventKeywords.All);
        }

        protected override void OnEventWritten(EventWrittenEventArgs eventData) =>
            lines.Enqueue($"{eventData.EventSource.Name} {eventData.EventName} {string.Join(' ', eventData.Payload ?? new([]))}");

        public override void Dispose()
        {
            Trace.Listeners.Remove(traces);
            traces.Dispose();
            activities.Dispose();
            base.Dispose();
        }
    }
}
