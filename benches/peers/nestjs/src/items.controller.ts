import { Controller, Get, Header, NotFoundException, Param, Res, UseGuards } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { register } from 'prom-client';
import { Data, type Item } from './data.js';
import { SubjectLimitGuard } from './limits.guard.js';
import { Permit, PermissionGuard } from './permission.guard.js';
import { TokenGuard } from './token.guard.js';

@Controller('items')
@UseGuards(TokenGuard, PermissionGuard, SubjectLimitGuard)
export class ItemsController {
  constructor(private readonly data: Data) {}

  @Get(':id')
  @Permit('items.read')
  find(@Param('id') id: string, @Res({ passthrough: true }) reply: FastifyReply): Item {
    const item = this.data.items.get(id);
    if (!item) throw new NotFoundException();
    reply.header('etag', `"${item.version}"`);
    return item;
  }
}

@Controller()
export class OperationsController {
  @Get('health')
  health(): void {}

  @Get('metrics')
  @Header('content-type', register.contentType)
  metrics(): Promise<string> {
    return register.metrics();
  }
}
