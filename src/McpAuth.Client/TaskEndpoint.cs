using McpAuth.Protocol;
using McpAuth.Protocol.Messages;

namespace McpAuth.Client;

/// <summary>An instance's tasks at the server: begins them, moves them, reads them.</summary>
internal sealed class TaskEndpoint(AttestedInstance instance)
{
    public Task<TaskView> Create(CreateTaskRequest request, CancellationToken cancellationToken)
    {
        byte[] body = ServerRequest.Body(request, ProtocolJson.Default.CreateTaskRequest);
        return instance.Send(own => Post(instance.Server.At(Names.Paths.Tasks), body, own), ProtocolJson.Default.TaskView, cancellationToken);
    }

    public Task<TaskView> Move(string id, string verb, string? reason, CancellationToken cancellationToken)
    {
        byte[] body = ServerRequest.Body(new TaskTransitionRequest(reason), ProtocolJson.Default.TaskTransitionRequest);
        return instance.Send(own => Post(Address(id, verb), body, own), ProtocolJson.Default.TaskView, cancellationToken);
    }

    public Task<TaskView> Show(string id, CancellationToken cancellationToken) => instance.Send(own => Get(Address(id), own), ProtocolJson.Default.TaskView, cancellationToken);

    public Task<TaskStory> Story(string id, CancellationToken cancellationToken) => instance.Send(own => Get(Address(id, "story"), own), ProtocolJson.Default.TaskStory, cancellationToken);

    private ServerRequest Post(Uri uri, byte[] body, AccessToken own) => new(HttpMethod.Post, uri) { Json = body, Key = instance.Key, AccessToken = own.Value };

    private ServerRequest Get(Uri uri, AccessToken own) => new(HttpMethod.Get, uri) { Key = instance.Key, AccessToken = own.Value };

    private Uri Address(string id, string? last = null) =>
        instance.Server.At($"{Names.Paths.Tasks}/{Uri.EscapeDataString(id)}{(last is null ? "" : "/" + last)}");
}
