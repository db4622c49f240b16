using System.Text.Json.Nodes;
using McpAuth.Protocol;
using McpAuthServer.Delegation;
using McpAuthServer.Storage;
using McpAuthServer.Tests.Harness;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace McpAuthServer.Tests.Exchange.Trees;

internal sealed partial class TreeWalk
{
    private async Task PassAsync()
    {
        server.Time.Advance(TimeSpan.FromSeconds(random.Next(40) == 0 ? random.Next(600, 3700) : random.Next(1, 40)));
        await server.Services.GetServices<IHostedService>().OfType<TaskDeadlines>().Single().ExpireDueAsync(default);
        await Task.WhenAll(guards.Values.Select(g => g.AuthenticateAsync()));
        foreach (var agent in s.Agents)
        {
            if (world.SuspendedAgents.Contains(agent.Id))
                continue;
            if (world.Instances.GetValueOrDefault(agent.Instance!) > Now)
                await AttestAsync(agent);
            else
            {
                InstanceGone(agent.Instance!);
                await AttestAsync(agent, anew: true);
            }
        }
        await LookAsync();
    }

    /// <summary>What an agent may ever do is lowered, wherever it stands in whatever chain, or is what it was again.</summary>
    private async Task MoveCeilingAsync()
    {
        var at = random.Next(s.Agents.Count);
        var (agent, first) = (s.Agents[at].Id, ceilings[at]);
        var lowered = !JsonNode.DeepEquals(world.Ceilings[agent], first);
        var entries = first.Where(_ => random.Next(6) > 0).DefaultIfEmpty(first[0]).Select(e => (JsonNode?)draw.Within(e!.AsObject()));
        world.Ceilings[agent] = lowered && random.Next(4) > 0 ? first.DeepClone().AsArray() : [.. entries];
        s.File["agents"]![at]!["ceiling"] = world.Ceilings[agent].DeepClone();
        await server.ApplyAsync(s.File.ToJsonString());
    }

    /// <summary>Something ends or stops, is lifted or taken up again; at once, everything below is asked about.</summary>
    private async Task EndAsync()
    {
        var (log, now) = (server.Services.GetRequiredService<ICommitLog>(), server.Time.GetUtcNow());
        var by = new Initiator(null, null, null, Rank.Administrator) { Administrator = "ops" };
        var token = held.Count > 0 ? held[random.Next(held.Count)].Token : null;
        switch (random.Next(7))
        {
            case 0 when token is not null:
                if ((await log.Commit(new EndTask(token.Task, random.Next(2) == 0 ? TaskState.Completed : TaskState.Revoked, null, by, null, now, "test"))).Applied)
                    Stop(token.Task);
                break;
            case 1 when token is not null:
                await log.Commit(new SuspendOrResumeTask(token.Task, suspend: true, null, by, null, now, "test"));
                world.Tasks[token.Task].Suspended = true;
                break;
            case 2 when world.Tasks.Values.FirstOrDefault(t => t is { Suspended: true, Stopped: false } && t.Ends > Now) is { } task:
                var agent = s.Agents.Single(a => a.Id == task.Agent);
                var who = random.Next(2) == 0 ? by : new Initiator(agent.Id, agent.Instance, agent.ClientId, Rank.Agent);
                var moved = await log.Commit(new SuspendOrResumeTask(task.Id, suspend: false, null, who, null, now, "test"));
                if (moved is { Applied: true, State: "active" })
                {
                    Assert.True(world.Instances.ContainsKey(task.Holder!) || (task.Resumable && who.Instance is not null), "nobody holds what was resumed");
                    task.Suspended = false;
                    if (!world.Instances.ContainsKey(task.Holder!))
                        task.Holder = who.Instance;
                }
                break;
            case 3:
                var gone = s.Agents[random.Next(s.Agents.Count)];
                if (world.SuspendedAgents.Contains(gone.Id))
                    break;
                await log.Commit(new EndInstance(gone.Instance!, "test", by, [], now, "test"));
                InstanceGone(gone.Instance!);
                await AttestAsync(gone, anew: true);
                break;
            case 4:
                var stopped = random.Next(s.Agents.Count);
                var active = world.SuspendedAgents.Remove(s.Agents[stopped].Id);
                if (!active)
                    world.SuspendedAgents.Add(s.Agents[stopped].Id);
                s.File["agents"]![stopped]!["state"] = active ? "active" : "suspended";
                await server.ApplyAsync(s.File.ToJsonString());
                if (active)
                    await AttestAsync(s.Agents[stopped], anew: world.Instances.GetValueOrDefault(s.Agents[stopped].Instance!) <= Now);
                break;
            case 5 when token is not null:
                await log.Commit(new RevokeGrant(token.Grant, null, "test", by, [], now, "test"));
                world.DeadGrants.Add(token.Grant);
                break;
            case 6 when random.Next(3) == 0:
                var enabled = world.DisabledUsers.Remove(s.User);
                if (!enabled)
                    world.DisabledUsers.Add(s.User);
                await server.ApplyAsync($$"""{"users":[{"id":"{{s.User}}","name":"Ann","email":"{{s.Person.Email}}","enabled":{{(enabled ? "true" : "false")}}}]}""");
                person = new PersonFlow(s);
                break;
        }
        await LookAsync();
    }

    /// <summary>What has ended is inactive at once; and so that this means something, the rest is not.</summary>
    private async Task LookAsync()
    {
        foreach (var (token, _) in held)
        {
            Looked++;
            var active = await guards[token.Audience].IsActiveAsync(token.Text);
            Assert.True(active == TreeOracle.Lives(token, world, Now), $"a {token.Kind} token of {token.Task} is {(active ? "active" : "inactive")}");
        }
    }

    private async Task AttestAsync(TestAgent agent, bool anew = false)
    {
        await (anew ? agent.RenewKeyAsync() : agent.AttestAsync());
        world.Instances[agent.Instance!] = Now + (long)Limits.Instance.TotalSeconds;
    }

    private void Stop(string task)
    {
        world.Tasks[task].Stopped = true;
        foreach (var below in world.Tasks.Values.Where(t => t.Parent == task && !t.Stopped).ToList())
            Stop(below.Id);
    }

    private void InstanceGone(string instance)
    {
        world.Instances.Remove(instance);
        foreach (var task in world.Tasks.Values.Where(t => t.Holder == instance && !t.Stopped).ToList())
            if (task.Resumable)
                task.Suspended = true;
            else
                Stop(task.Id);
    }
}
